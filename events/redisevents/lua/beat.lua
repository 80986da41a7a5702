-- A sign of life of a member of an ordered group.
-- KEYS: record, waiting, members, parts.
-- ARGV: member, milliseconds of the lease, number of partitions.
-- Answers the members that are alive, and for each partition its owner and its token.
local me, lease, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock()
-- Who could not give a sign of life because the server was away is given the time to do so: silence counts while somebody is heard.
local last = tonumber(call('HGET', KEYS[4], 'beat') or 0)
if now - last > lease / 2 and now - last < 300000 then
  for _, m in ipairs(call('ZRANGEBYSCORE', KEYS[3], number(last), '+inf')) do
    call('ZADD', KEYS[3], 'GT', number(now + lease), m)
  end
end
call('HSET', KEYS[4], 'beat', number(now))
local new = call('ZADD', KEYS[3], number(now + lease), me) == 1
if call('ZREMRANGEBYSCORE', KEYS[3], '-inf', number(now)) > 0 or new then call('PUBLISH', KEYS[1], 'members') end
local fields = {}
for i = 0, count - 1 do
  fields[#fields + 1] = 'owner' .. i
  fields[#fields + 1] = 'token' .. i
end
return { call('ZRANGE', KEYS[3], 0, -1), call('HMGET', KEYS[4], unpack(fields)) }
