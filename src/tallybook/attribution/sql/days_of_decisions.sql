-- The UTC days that have decisions.
SELECT DISTINCT date
FROM decisions
ORDER BY date
