-- How many further copies of one visitor's decisions there are.
SELECT COALESCE(SUM(rows_of_event - 1), 0)
FROM (
    SELECT COUNT(*) AS rows_of_event
    FROM decisions
    GROUP BY account_id, experiment_id, entity_id, uuid, occurred_at, visitor_id
    HAVING COUNT(*) > 1
) AS repeated
