-- Decisions in the order that queries like: an experiment's and a visitor's stand together.
SELECT *
FROM decisions
ORDER BY experiment_id, visitor_id, occurred_at
