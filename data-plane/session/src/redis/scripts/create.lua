-- Creates a session, unless its route or its principal holds as many as it may.
-- KEYS: the record. ARGV: id, route, principal, ttl in ms, route's cap, principal's cap, then field, value, field, value …
local id, route, principal, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local index = indexes(route, principal)
for i = 1, 3 do prune(index[i]) end
if redis.call('ZCARD', index[2]) >= tonumber(ARGV[5]) then return 'route full' end
if redis.call('ZCARD', index[3]) >= tonumber(ARGV[6]) then return 'principal full' end

redis.call('HSET', KEYS[1], unpack(ARGV, 7))
redis.call('PEXPIRE', KEYS[1], ttl)
enter(id, route, principal, ttl)
-- A read: from here on the caller hears of changes, and may keep what it wrote.
redis.call('EXISTS', KEYS[1])
return 'created'
