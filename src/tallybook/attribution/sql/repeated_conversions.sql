-- How many further copies of one visitor's conversions there are.
SELECT COALESCE(SUM(rows_of_event - 1), 0)
FROM (
    SELECT COUNT(*) AS rows_of_event
    FROM conversions
    GROUP BY account_id, entity_id, uuid, occurred_at, visitor_id
    HAVING COUNT(*) > 1
) AS repeated
