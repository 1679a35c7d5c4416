-- One visitor's decisions, copies marked.
WITH copies AS (
    SELECT
        *,
        {copy_of_decision}
    FROM decisions
    WHERE uuid IN (SELECT uuid FROM decisions WHERE visitor_id = $visitor_id)
)
SELECT
    occurred_at, arrived_at, uuid, account_id, experiment_id, variation_id,
    flag_key, rule_key, variation_key, revision, is_holdback,
    copy > 1 AS is_copy
FROM copies
WHERE visitor_id = $visitor_id
ORDER BY occurred_at, arrived_at, uuid, entity_id, experiment_id, copy
