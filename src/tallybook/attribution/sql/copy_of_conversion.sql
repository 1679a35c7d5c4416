-- What makes two conversions copies, and which copy is the first: the one that counts.
        ROW_NUMBER() OVER (
            PARTITION BY account_id, entity_id, uuid, occurred_at
            ORDER BY
                arrived_at, visitor_id, event_key,
                revenue NULLS FIRST, value NULLS FIRST, tags NULLS FIRST, attributes
        ) AS copy
