-- The keys of all attributed events.
SELECT DISTINCT event_key
FROM attributed
ORDER BY event_key
