-- The UTC days that have conversions.
SELECT DISTINCT date
FROM conversions
ORDER BY date
