-- Every decision of one day once, in the order of an export's files.
WITH copies AS (
    SELECT
        *,
        {copy_of_decision}
    FROM decisions
    WHERE date = CAST($day AS DATE)
)
SELECT
    uuid, occurred_at, arrived_at, visitor_id, session_id, account_id,
    campaign_id, experiment_id, variation_id, attributes, attribute_ids,
    user_ip, user_agent, referer, is_holdback, revision, client_name, client_version
FROM copies
WHERE copy = 1
ORDER BY arrived_at - arrived_at % 86400000, experiment_id, occurred_at, uuid, entity_id, account_id
