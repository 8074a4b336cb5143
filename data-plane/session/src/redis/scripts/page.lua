-- Ids and scores of an index in the order of expiry, from behind a member whose score was known. A session that was used
-- since has moved to the back, where it is found again; none moves to the front, so none is missed.
-- ARGV: the index, how many, the known score or '', the known id.
local index, known = ARGV[1], ARGV[3]
prune(index)
local from = 0
if known ~= '' then
  if redis.call('ZSCORE', index, ARGV[4]) == known then
    from = redis.call('ZRANK', index, ARGV[4]) + 1
  else
    from = redis.call('ZCOUNT', index, '-inf', '(' .. known)
  end
end
return redis.call('ZRANGE', index, from, from + ARGV[2] - 1, 'WITHSCORES')
