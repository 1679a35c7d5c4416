SELECT DISTINCT date
FROM conversions
ORDER BY date
