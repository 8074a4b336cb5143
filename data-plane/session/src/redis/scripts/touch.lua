-- Notes that sessions were used. Returns for each 1, or 0 if it is gone.
-- KEYS: the records. ARGV: id, ttl in ms, for each.
local alive = {}
for i, record in ipairs(KEYS) do
  local id, ttl = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  alive[i] = redis.call('PEXPIRE', record, ttl)
  -- Read after the write: writing ended the tracking of the key for everybody, the caller included.
  local stored = redis.call('HMGET', record, 'route', 'principal')
  if stored[1] then enter(id, stored[1], stored[2], ttl) end
end
return alive
