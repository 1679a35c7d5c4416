-- One visitor's conversions, copies marked.
WITH copies AS (
    SELECT
        *,
        {copy_of_conversion}
    FROM conversions
    WHERE uuid IN (SELECT uuid FROM conversions WHERE visitor_id = $visitor_id)
)
SELECT
    occurred_at, arrived_at, uuid, account_id, event_key, entity_id, revenue, value, tags,
    copy > 1 AS is_copy
FROM copies
WHERE visitor_id = $visitor_id
ORDER BY occurred_at, arrived_at, uuid, entity_id, copy
