-- KEYS: record, waiting, due, later, the lanes, a key for the identity of each event that has one.
-- ARGV: number of lanes, milliseconds for which identities are remembered, and for each event: lane, time when it is due or 0, whether it has
-- an identity, number of fields, fields.
-- Answers for each event its number, 0 for one that was there already, 'later', 'messages N' or 'bytes N' for one that is too much.
local gone = needs_topic()
if gone then return gone end
local count = tonumber(ARGV[1])
local lanes = keys(5, count)
local now = clock()
local r = call('HMGET', KEYS[1], 'max_messages', 'max_bytes', 'max_age', 'drop_oldest', 'bytes')
local max_messages, max_bytes, max_age, bytes = tonumber(r[1]), tonumber(r[2]), tonumber(r[3]), tonumber(r[5] or 0)
local drop_oldest = r[4] == '1'
local aged = false

local function messages()
  local sum = call('ZCARD', KEYS[3])
  for i = 1, count do sum = sum + call('XLEN', lanes[i]) end
  return sum
end
local kept = max_messages >= 0 and messages() or 0

-- drop drops the oldest event of all lanes: the one with the least time, and of one millisecond that with the least number.
local function drop()
  local oldest, ms, seq
  for i = 1, count do
    local e = call('XRANGE', lanes[i], '-', '+', 'COUNT', 1)[1]
    if e then
      local a, b = tonumber(string.match(e[1], '%d+')), 0
      for j = 1, #e[2], 2 do
        if e[2][j] == 'hanse-sequence' then b = tonumber(e[2][j + 1]) or 0 end
      end
      if not oldest or a < ms or a == ms and b < seq then oldest, ms, seq = { lanes[i], e }, a, b end
    end
  end
  if not oldest then return false end
  call('XDEL', oldest[1], oldest[2][1])
  local n = size(oldest[2][2])
  forget(n)
  bytes, kept = math.max(0, bytes - n), kept - 1
  return true
end

-- room says what is in the way of so many bytes.
local function room(n)
  while true do
    local full
    if max_messages >= 0 and kept >= max_messages then
      full = 'messages ' .. number(kept)
    elseif max_bytes >= 0 and bytes + n > max_bytes then
      full = 'bytes ' .. number(bytes)
    end
    if not full then return nil end
    if not aged then
      aged = true
      if max_age > 0 then
        expire(lanes, now - max_age, 1000)
        bytes = tonumber(call('HGET', KEYS[1], 'bytes') or 0)
        kept = max_messages >= 0 and messages() or 0
      end
    elseif not drop_oldest or not drop() then
      return full
    end
  end
end

local out, at, identities, some = {}, 3, 4 + count, false
while at <= #ARGV do
  local lane, due, has, n = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2] == '1', tonumber(ARGV[at + 3])
  local fields = { unpack(ARGV, at + 4, at + 3 + n) }
  at = at + 4 + n
  local identity
  if has then
    identities = identities + 1
    identity = KEYS[identities]
  end
  local answer
  if identity and call('EXISTS', identity) == 1 then
    answer = 0
    call('PEXPIRE', identity, ARGV[2]) -- a write, so that WAIT has something to wait for
  else
    local add = 0
    for i = 1, n do add = add + #fields[i] end
    answer = room(add)
    if not answer then
      if due > now then
        local name = number(call('HINCRBY', KEYS[1], 'later', 1))
        call('HSET', KEYS[4], name, cmsgpack.pack({ tonumber(lane), fields }))
        call('ZADD', KEYS[3], number(due), name)
        answer = 'later'
      else
        answer = append(lanes[lane + 1], fields)
      end
      call('HINCRBY', KEYS[1], 'bytes', add)
      bytes, kept, some = bytes + add, kept + 1, true
      if identity then call('SET', identity, 1, 'PX', ARGV[2]) end
    end
  end
  out[#out + 1] = answer
end
if some then wake() end
return out
