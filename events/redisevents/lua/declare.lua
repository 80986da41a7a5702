-- Writes the record of a topic, if it is still the one that was read.
-- KEYS: record. ARGV: its revision, 0 for none, and fields with their values.
-- Answers whether it did.
if tonumber(redis.call('HGET', KEYS[1], 'revision') or 0) ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[1] + 1, unpack(ARGV, 2))
return 1
