-- Dead letters by arrival.
SELECT *
FROM dead_letters
ORDER BY arrived_at
