-- The times of an experiment's first and last decision.
SELECT MIN(occurred_at), MAX(occurred_at)
FROM decisions
WHERE experiment_id = $experiment_id AND NOT is_holdback AND variation_id IS NOT NULL
