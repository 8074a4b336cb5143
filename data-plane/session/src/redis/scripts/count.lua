-- The number of live sessions in an index.
-- ARGV: the index.
prune(ARGV[1])
return redis.call('ZCARD', ARGV[1])
