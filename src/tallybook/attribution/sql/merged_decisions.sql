-- Decisions in the order that queries like, further copies left out and counted in the first.
WITH numbered AS (
    SELECT
        *,
        {copy_of_decision}
    FROM decisions
),
-- Only copies of one visitor's are merged: who else has one is still told by rows of their own.
counted AS (
    SELECT
        *,
        MIN(copy) OVER same AS first_copy,
        SUM(COALESCE(copies, 1)) OVER same AS all_copies
    FROM numbered
    WINDOW same AS (
        PARTITION BY account_id, experiment_id, entity_id, uuid, occurred_at, visitor_id
    )
)
SELECT * EXCLUDE (copy, first_copy, all_copies)
    REPLACE (NULLIF(CAST(all_copies AS BIGINT), 1) AS copies)
FROM counted
WHERE copy = first_copy
ORDER BY experiment_id, visitor_id, occurred_at
