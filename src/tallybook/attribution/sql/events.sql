-- Every attributed conversion, with the variation it counts for.
SELECT uuid, entity_id, occurred_at, event_key, visitor_id, variation_id
FROM attributed
ORDER BY occurred_at, uuid, entity_id, account_id
