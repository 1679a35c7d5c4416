-- The variations an experiment's visitors were given.
SELECT DISTINCT variation_id
FROM decisions
WHERE experiment_id = $experiment_id AND NOT is_holdback AND variation_id IS NOT NULL
ORDER BY variation_id
