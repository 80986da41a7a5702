-- Settles and fetches for a member of an ordered group, of the partitions that are its own by their tokens.
-- KEYS: record, waiting, due, later, parts, the lanes.
-- ARGV: number of lanes, group, how many; number of settled, and for each: partition, token, ID; then for each partition to fetch from: number, token, ID of
-- the last delivery, most.
-- Answers the milliseconds until something may be there, or -1, the partitions that are another's, and the deliveries: lane, ID, attempt, fields.
local gone = needs_topic()
if gone then return gone end
local count, group, most, settled = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local lanes = keys(6, count)
local tokens = {}
local function mine(n, token)
  tokens[n] = tokens[n] or call('HGET', KEYS[5], 'token' .. n) or ''
  return tokens[n] == token
end
local lost, seen = {}, {}
local function lose(n)
  if not seen[n] then lost[#lost + 1] = tonumber(n) end
  seen[n] = true
end

local i = 5
for _ = 1, settled do
  if mine(ARGV[i], ARGV[i + 1]) then call('XACK', lanes[ARGV[i] + 1], group, ARGV[i + 2]) else lose(ARGV[i]) end
  i = i + 3
end

local next, out = -1, {}
if i <= #ARGV then next = mature(KEYS[3], KEYS[4], lanes, clock()) end
while i <= #ARGV do
  local n, token, last, room = ARGV[i], ARGV[i + 1], ARGV[i + 2], math.min(tonumber(ARGV[i + 3]), most - #out)
  local lane = lanes[n + 1]
  i = i + 4
  if not mine(n, token) then
    lose(n)
  elseif room > 0 then
    -- What was delivered and not settled comes first: to an owner before, or to this one in an answer that got lost.
    while room > 0 do
      local pending = call('XPENDING', lane, group, '(' .. last, '+', room)
      if #pending == 0 then break end
      local ids, attempts = {}, {}
      for j = 1, #pending do
        ids[j] = pending[j][1]
        attempts[ids[j]] = pending[j][4] + 1
      end
      for _, e in ipairs(call('XCLAIM', lane, group, 'hanse', 0, unpack(ids))) do
        if e then
          out[#out + 1] = { tonumber(n), e[1], attempts[e[1]], e[2] }
          room = room - 1
        end
      end
      last = ids[#ids]
    end
    local all = room > 0 and call('XREADGROUP', 'GROUP', group, 'hanse', 'COUNT', room, 'STREAMS', lane, '>')
    for _, e in ipairs(all and all[1][2] or {}) do out[#out + 1] = { tonumber(n), e[1], 1, e[2] } end
  end
end
if most > 0 and #out == 0 then hungry() end
return { next, lost, out }
