-- A visitor is in one segment: that of the first exposure.
members AS (
    SELECT account_id, visitor_id, variation_id, revision, segment, occurred_at AS joined_at
    FROM first_exposures
)
