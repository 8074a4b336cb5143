-- A piece of a stream: writer, request id, state, last seq, upstream's last id, events. A live stream whose writer has no
-- lease is an orphan.
-- KEYS: the stream's head. ARGV: session, stream, first seq wanted, how many.
local head = redis.call('HMGET', KEYS[1], 'writer', 'request', 'state', 'last', 'upstream')
if not head[1] then return false end
if head[3] == 'live' and redis.call('EXISTS', PREFIX .. 'node:' .. head[1]) == 0 then head[3] = 'orphaned' end
head[6] = redis.call('XRANGE', events_of(ARGV[1], ARGV[2]), ARGV[3] .. '-0', '+', 'COUNT', ARGV[4])
return head
