-- Ends a session: its record, its places in the indexes, its streams. Returns 1 if there was one.
-- KEYS: the record. ARGV: id.
local id = ARGV[1]
local stored = redis.call('HMGET', KEYS[1], 'route', 'principal')
if not stored[1] then return 0 end

redis.call('DEL', KEYS[1])
for _, index in ipairs(indexes(stored[1], stored[2])) do redis.call('ZREM', index, id) end
for _, stream in ipairs(redis.call('ZRANGE', streams_of(id), 0, -1)) do forget(id, stream) end
redis.call('DEL', streams_of(id))
return 1
