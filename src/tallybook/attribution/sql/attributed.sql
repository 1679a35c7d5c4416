-- Conversions in the window, copies numbered: the first of an identity counts.
conversion_copies AS (
    SELECT
        visitor_id, account_id, event_key, revenue, value, tags, attributes,
        occurred_at, uuid, entity_id,
        {copy_of_conversion}
    FROM conversions
    WHERE account_id = COALESCE($account_id, account_id)
        AND date >= CAST($first_day AS DATE) AND date <= CAST($last_day AS DATE)
        AND occurred_at >= $from_ms AND occurred_at < $to_ms{entities}
),
-- Those at or after their visitor's first exposure, whichever project of the account sent them.
attributed AS (
    SELECT
        c.account_id, c.visitor_id, c.event_key, c.revenue, c.value, c.tags,
        c.occurred_at, c.uuid, c.entity_id,
        e.variation_id,
        e.segment AS exposed_segment,
        {segment} AS carried_segment
    FROM conversion_copies AS c
    INNER JOIN first_exposures AS e
        ON c.account_id = e.account_id
        AND c.visitor_id = e.visitor_id
        AND c.occurred_at >= e.occurred_at
    WHERE c.copy = 1
)
