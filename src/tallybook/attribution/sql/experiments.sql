-- The experiments that have decisions.
SELECT DISTINCT experiment_id
FROM decisions
WHERE experiment_id <> ''
ORDER BY experiment_id
