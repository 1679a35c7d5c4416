SELECT DISTINCT event_key
FROM attributed
ORDER BY event_key
