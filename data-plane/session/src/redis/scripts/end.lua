-- Notes that a stream's writer stopped, and forgets the streams that ended first beyond the bound. Returns how many, or -1 if
-- the caller is not the writer (any more).
-- KEYS: the stream's head. ARGV: session, stream, writer, state, ttl in ms, most ended streams.
local head, session, stream, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[5]
if redis.call('HGET', head, 'writer') ~= ARGV[3] then return -1 end

if redis.call('HGET', head, 'last') == '0' then
  forget(session, stream)
  redis.call('ZREM', streams_of(session), stream)
  return 0
end
redis.call('HSET', head, 'state', ARGV[4])
redis.call('PEXPIRE', head, ttl)
redis.call('PEXPIRE', events_of(session, stream), ttl)

local streams, forgotten = streams_of(session), 0
redis.call('ZADD', streams, now(), stream)
while redis.call('ZCOUNT', streams, '-inf', '(+inf') > tonumber(ARGV[6]) do
  forget(session, redis.call('ZPOPMIN', streams)[1])
  forgotten = forgotten + 1
end
return forgotten
