-- Decisions of the experiment in the window, copies numbered: the first of an identity counts.
decision_copies AS (
    SELECT
        visitor_id, account_id, variation_id, is_holdback, revision, attributes,
        occurred_at, arrived_at, uuid, entity_id, copies,
        {copy_of_decision}
    FROM decisions
    WHERE experiment_id = $experiment_id
        AND account_id = COALESCE($account_id, account_id)
        AND date >= CAST($first_day AS DATE) AND date <= CAST($last_day AS DATE)
        AND occurred_at >= $from_ms AND occurred_at < $to_ms
),
-- What visitors were shown: holdbacks and decisions without a variation show nothing.
shown AS (
    SELECT
        visitor_id, account_id, variation_id, revision,
        occurred_at, arrived_at, uuid, entity_id,
        {segment} AS segment
    FROM decision_copies
    WHERE copy = 1 AND NOT is_holdback AND variation_id IS NOT NULL
),
-- A visitor belongs to the variation seen first.
first_exposures AS (
    SELECT visitor_id, account_id, variation_id, revision, segment, occurred_at
    FROM (
        SELECT
            *,
            ROW_NUMBER() OVER (
                PARTITION BY account_id, visitor_id
                ORDER BY occurred_at, arrived_at, uuid, entity_id
            ) AS place
        FROM shown
    ) AS placed
    WHERE place = 1
)
