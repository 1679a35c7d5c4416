-- The metric's own events; what is no finite number counts as absent.
measured AS (
    SELECT
        account_id, visitor_id, {own_segment} AS segment, variation_id,
        occurred_at - occurred_at % 86400000 + 86400000 AS day_end,
        {amount} AS amount
    FROM attributed
    WHERE event_key = $event_key
),
finite AS (
    SELECT
        account_id, visitor_id, segment, variation_id, day_end,
        CASE WHEN ABS(amount) <= 1.7976931348623157e308 THEN amount END AS amount
    FROM measured
),
-- Amounts become whole numbers of 2^-scale, so that sums are exact in whatever order.
scaled AS (
    SELECT account_id, visitor_id, segment, variation_id, day_end, amount, {scale} AS scale
    FROM finite
),
daily AS (
    SELECT
        account_id, visitor_id, segment, variation_id, scale, day_end,
        COUNT(*) AS occurrences,
        CAST(COALESCE(SUM({units}), 0) AS DECIMAL(38, 0)) AS units
    FROM scaled
    GROUP BY account_id, visitor_id, segment, variation_id, scale, day_end
),
-- What a visitor amounts to from the end of one day until the end of the next day with events.
running AS (
    SELECT
        segment, variation_id, scale, day_end,
        LEAD(day_end) OVER (PARTITION BY account_id, visitor_id, segment ORDER BY day_end) AS until,
        SUM(occurrences) OVER (
            PARTITION BY account_id, visitor_id, segment ORDER BY day_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS occurrences,
        SUM(units) OVER (
            PARTITION BY account_id, visitor_id, segment ORDER BY day_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS units
    FROM daily
),
states AS (
    SELECT
        segment, variation_id, scale, day_end, until,
        CAST({numerator} AS DECIMAL(38, 0)) AS numerator,
        CAST({denominator} AS DECIMAL(38, 0)) AS denominator
    FROM running
),
changes AS (
    SELECT segment, variation_id, scale, day_end, 1 AS sign, numerator, denominator
    FROM states
    UNION ALL
    SELECT segment, variation_id, scale, until AS day_end, -1 AS sign, numerator, denominator
    FROM states
    WHERE until IS NOT NULL
),
-- A numerator is high * 10^13 + low: squares of both fit where the square of it would not.
split AS (
    SELECT
        segment, variation_id, scale, day_end, sign, numerator, denominator,
        CAST(ROUND(CAST(numerator AS DOUBLE) / 1e13) AS DECIMAL(19, 0)) AS high
    FROM changes
),
parts AS (
    SELECT
        segment, variation_id, scale, day_end, sign, numerator, high,
        CAST(denominator AS DECIMAL(19, 0)) AS denominator,
        CAST(numerator - high * CAST(10000000000000 AS DECIMAL(19, 0)) AS DECIMAL(19, 0)) AS low
    FROM split
)
SELECT
    segment, LEAST(day_end, $to_ms) AS at_ms, variation_id, scale,
    0 AS visitors,
    SUM(sign * numerator) AS numerators,
    SUM(sign * high * high) AS high_high,
    SUM(sign * high * low) AS high_low,
    SUM(sign * low * low) AS low_low,
    SUM(sign * denominator) AS denominators,
    SUM(sign * denominator * denominator) AS denominator_squares,
    SUM(sign * high * denominator) AS high_denominator,
    SUM(sign * low * denominator) AS low_denominator
FROM parts
GROUP BY segment, LEAST(day_end, $to_ms), variation_id, scale
UNION ALL
SELECT
    segment,
    LEAST(joined_at - joined_at % 86400000 + 86400000, $to_ms) AS at_ms,
    variation_id,
    0 AS scale,
    COUNT(*) AS visitors,
    0, 0, 0, 0, 0, 0, 0, 0
FROM members
GROUP BY segment, LEAST(joined_at - joined_at % 86400000 + 86400000, $to_ms), variation_id
ORDER BY segment, at_ms, variation_id, scale
