-- A visitor is in every segment that any of their decisions or attributed conversions carries.
carried AS (
    SELECT account_id, visitor_id, segment, occurred_at FROM shown
    UNION ALL
    SELECT account_id, visitor_id, carried_segment AS segment, occurred_at FROM attributed
),
members AS (
    SELECT
        e.account_id, e.visitor_id, e.variation_id, e.revision, c.segment,
        MIN(c.occurred_at) AS joined_at
    FROM first_exposures AS e
    INNER JOIN carried AS c ON e.account_id = c.account_id AND e.visitor_id = c.visitor_id
    GROUP BY e.account_id, e.visitor_id, e.variation_id, e.revision, c.segment
)
