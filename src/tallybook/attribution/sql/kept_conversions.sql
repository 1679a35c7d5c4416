-- Every conversion of one day once, in the order of an export's files.
WITH copies AS (
    SELECT
        *,
        {copy_of_conversion}
    FROM conversions
    WHERE date = CAST($day AS DATE)
)
SELECT
    uuid, occurred_at, arrived_at, visitor_id, session_id, account_id,
    entity_id, attributes, attribute_ids, user_ip, user_agent, referer, event_type,
    event_key, revenue, value, quantity, tags, revision, client_name, client_version
FROM copies
WHERE copy = 1
ORDER BY arrived_at - arrived_at % 86400000, event_key, occurred_at, uuid, entity_id, account_id
