-- KEYS: record, due, the lanes.
-- Answers how many events the topic has, how many of these are not due, their bytes, and how many milliseconds ago the oldest was stored.
local later = redis.call('ZCARD', KEYS[2])
local n, oldest = later, nil
for i = 3, #KEYS do
  n = n + redis.call('XLEN', KEYS[i])
  local e = redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1]
  local at = e and tonumber(string.match(e[1], '%d+'))
  if at and (not oldest or at < oldest) then oldest = at end
end
local t = redis.call('TIME')
return { n, later, tonumber(redis.call('HGET', KEYS[1], 'bytes') or 0), oldest and t[1] * 1000 + math.floor(t[2] / 1000) - oldest or 0 }
