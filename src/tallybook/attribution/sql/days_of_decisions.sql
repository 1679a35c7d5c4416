SELECT DISTINCT date
FROM decisions
ORDER BY date
