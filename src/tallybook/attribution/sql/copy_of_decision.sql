-- What makes two decisions copies, and which copy is the first: the one that counts.
        ROW_NUMBER() OVER (
            PARTITION BY account_id, experiment_id, entity_id, uuid, occurred_at
            ORDER BY
                arrived_at, visitor_id, is_holdback,
                variation_id NULLS FIRST, revision NULLS FIRST, attributes
        ) AS copy
