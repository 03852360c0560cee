-- The address of the seeded qwen-proxy, which was stored. Its twin is ../sqlite/0009_qwen_proxy_address.sql.

-- Without a base URL, a provider of type `qwen-proxy` is the qwen-proxy beside the router, on any port. Only the value
-- that a new database was given is removed, not the same value set by a person: it was written together with its
-- provider and never changed.
DELETE FROM provider_configs
WHERE provider_id = 'qwen-proxy-default' AND key = 'baseURL' AND value = '"http://127.0.0.1:3000"'
  AND updated_at = created_at
  AND EXISTS (SELECT 1 FROM providers AS p
              WHERE p.id = provider_configs.provider_id AND p.type = 'qwen-proxy'
                AND p.created_at = provider_configs.created_at);
