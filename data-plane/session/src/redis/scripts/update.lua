-- Replaces the fields of a session whose revision is still the expected one, and returns the wanted fields.
-- KEYS: the record. ARGV: id, expected revision, ttl in ms, number of wanted fields, their names, then field, value …
local wanted = tonumber(ARGV[4])
local stored = redis.call('HMGET', KEYS[1], 'revision', 'route', 'principal')
if stored[1] ~= ARGV[2] then return false end

redis.call('HSET', KEYS[1], unpack(ARGV, 5 + wanted))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
enter(ARGV[1], stored[2], stored[3], tonumber(ARGV[3]))
return redis.call('HMGET', KEYS[1], unpack(ARGV, 5, 4 + wanted))
