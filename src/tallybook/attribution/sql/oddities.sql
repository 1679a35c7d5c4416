-- Visitors who were shown another variation later.
switched AS (
    SELECT DISTINCT s.account_id, s.visitor_id
    FROM shown AS s
    INNER JOIN first_exposures AS e
        ON s.account_id = e.account_id AND s.visitor_id = e.visitor_id
    WHERE s.variation_id <> e.variation_id
),
-- Further copies of an event among a visitor's decisions here and conversions anywhere. A row that
-- stands for several since its file was compacted says so.
repeated AS (
    SELECT account_id, visitor_id, SUM(COALESCE(copies, 1)) - 1 AS further
    FROM decision_copies
    GROUP BY account_id, visitor_id, entity_id, uuid, occurred_at
    HAVING SUM(COALESCE(copies, 1)) > 1
    UNION ALL
    SELECT c.account_id, c.visitor_id, SUM(COALESCE(c.copies, 1)) - 1 AS further
    FROM conversions AS c
    INNER JOIN first_exposures AS e
        ON c.account_id = e.account_id AND c.visitor_id = e.visitor_id
    WHERE c.date >= CAST($first_day AS DATE) AND c.date <= CAST($last_day AS DATE)
        AND c.occurred_at >= $from_ms AND c.occurred_at < $to_ms
    GROUP BY c.account_id, c.visitor_id, c.entity_id, c.uuid, c.occurred_at
    HAVING SUM(COALESCE(c.copies, 1)) > 1
),
removed AS (
    SELECT account_id, visitor_id, SUM(further) AS further
    FROM repeated
    GROUP BY account_id, visitor_id
)
SELECT
    m.segment,
    COUNT(s.visitor_id) AS switched_visitors,
    COALESCE(SUM(r.further), 0) AS duplicate_events
FROM members AS m
LEFT JOIN switched AS s
    ON m.account_id = s.account_id AND m.visitor_id = s.visitor_id
LEFT JOIN removed AS r
    ON m.account_id = r.account_id AND m.visitor_id = r.visitor_id
GROUP BY m.segment
ORDER BY m.segment
