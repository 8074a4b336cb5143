-- Appends events to a stream, opening it or taking it over first if asked to. Returns how many old events fell out, or -1 if
-- the caller may not write: it is not the writer (any more), the stream or its session ended, or an event is not the next.
-- KEYS: the stream's head. ARGV: session, stream, writer, 'open' or '', request id, ttl in ms, most events, most bytes,
-- bytes charged per event; then seq, upstream's id, lines for each event.
local head, session, stream, writer = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local opening, request, ttl = ARGV[4] == 'open', ARGV[5], ARGV[6]
local max_events, max_bytes, overhead = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local FIRST = 10
local events = events_of(session, stream)
local stored = redis.call('HMGET', head, 'writer', 'state', 'last', 'bytes')
local last, bytes = tonumber(stored[3] or 0), tonumber(stored[4] or 0)

if opening then
  if redis.call('EXISTS', PREFIX .. 'session:' .. session) == 0 then return -1 end
elseif stored[1] ~= writer or stored[2] ~= 'live' then
  return -1
end
if ARGV[FIRST] and tonumber(ARGV[FIRST]) ~= last + 1 then return -1 end

if opening then
  redis.call('HSET', head, 'writer', writer, 'state', 'live', 'request', request)
  redis.call('ZADD', streams_of(session), '+inf', stream)
  redis.call('PEXPIRE', streams_of(session), ttl)
end
for i = FIRST, #ARGV, 3 do
  local seq, upstream, lines = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  redis.call('XADD', events, seq .. '-0', 'upstream', upstream, 'lines', lines)
  if upstream ~= '' then redis.call('HSET', head, 'upstream', upstream) end
  bytes = bytes + #upstream + #lines + overhead
  last = seq
end

local dropped, held = 0, redis.call('XLEN', events)
while held > 0 and (held > max_events or bytes > max_bytes) do
  local oldest = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', events, oldest[1])
  bytes = bytes - #oldest[2][2] - #oldest[2][4] - overhead
  held, dropped = held - 1, dropped + 1
end
redis.call('HSET', head, 'last', last, 'bytes', bytes)
redis.call('PEXPIRE', head, ttl)
redis.call('PEXPIRE', events, ttl)
return dropped
