
        -- Only entities that carry the metric's event: copies of one event share its entity id.
        AND entity_id IN (
            SELECT entity_id
            FROM conversions
            WHERE event_key = $event_key
                AND account_id = COALESCE($account_id, account_id)
                AND date >= CAST($first_day AS DATE) AND date <= CAST($last_day AS DATE)
                AND occurred_at >= $from_ms AND occurred_at < $to_ms
        )
