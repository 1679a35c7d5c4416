-- One visitor's decisions, copies marked.
WITH copies AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY account_id, experiment_id, entity_id, uuid, occurred_at
            ORDER BY
                arrived_at, visitor_id, is_holdback,
                variation_id NULLS FIRST, revision NULLS FIRST, attributes
        ) AS copy
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
