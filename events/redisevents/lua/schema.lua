-- Replaces the schema of a topic, if it has the revision still.
-- KEYS: schema. ARGV: revision, schema. Answers whether it did. A repetition of what was done is done, too.
local is = redis.call('HMGET', KEYS[1], 'revision', 'schema')
local revision = tonumber(is[1] or 0)
if revision == ARGV[1] + 1 and is[2] == ARGV[2] then return 1 end
if revision ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'revision', revision + 1, 'schema', ARGV[2])
return 1
