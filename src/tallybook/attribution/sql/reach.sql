-- Visitors new on each UTC day; a day's end beyond the window is the window's end.
SELECT
    segment,
    LEAST(joined_at - joined_at % 86400000 + 86400000, $to_ms) AS at_ms,
    variation_id,
    revision,
    COUNT(*) AS visitors
FROM members
GROUP BY
    segment, LEAST(joined_at - joined_at % 86400000 + 86400000, $to_ms), variation_id, revision
ORDER BY segment, at_ms, variation_id, revision
