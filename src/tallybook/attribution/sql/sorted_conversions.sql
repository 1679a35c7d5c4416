-- Conversions in the order that queries like: an event's and a visitor's stand together.
SELECT *
FROM conversions
ORDER BY event_key, visitor_id, occurred_at
