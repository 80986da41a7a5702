-- Drops what is over its age, unless somebody did that just now.
-- KEYS: record, waiting, the lanes. ARGV: milliseconds between two times, most entries.
-- Answers whether there may be more.
local age = tonumber(call('HGET', KEYS[1], 'max_age') or -1)
if age <= 0 then return 0 end
local now = clock()
if now - tonumber(call('HGET', KEYS[1], 'trimmed') or 0) < tonumber(ARGV[1]) then return 0 end
if expire(keys(3, #KEYS - 2), now - age, tonumber(ARGV[2])) <= 0 then return 1 end
call('HSET', KEYS[1], 'trimmed', number(now))
return 0
