"""Verb: keep events until a server has them, and keep the datafile fresh: the SDK's work behind.

    append ─▶ journal ─▶ courier (batch, send, read the answer) ─▶ acknowledged
                 ▲                       │
                 └──── kept, split or retried ◀──┘

:class:`~tallybook.deliver.outbox.Outbox` is the door: callers append on their own thread, one
worker thread sends. It knows neither JSON nor events: an
:class:`~tallybook.deliver.journal.Envelope` says where items go and what stands before and after
them in a body. Customer events go through outboxes of their own
(:mod:`~tallybook.deliver.odp_events`).

What a decision has to wait for is asked on the caller's thread (:mod:`~tallybook.deliver.ask`): a
visitor's segments, and a bandit's predictions.
"""
