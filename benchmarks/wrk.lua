-- Sends the bodies in turn and checks every answer; see benchmarks/client.py, which writes the file of cases.
-- An answer must hold, in its order, the numbers of one of the right ones, within the tolerance. Texts that were
-- found right once are not read again, so that checking costs the client little.

local ffi = require("ffi")
local cases
local sent = 0
local in_order = false
local accepted = {}
wrong, first_wrong = 0, ""
counts = {}

local threads = {}
function setup(thread) table.insert(threads, thread) end

function init(args)
  cases = dofile(args[1])
  for i = 1, #cases.answers do counts[i] = 0 end
  if args[2] ~= "unchecked" then response = check end  -- without it, wrk does not even keep the answers
  in_order = args[2] == "in order"
  wrk.method = "POST"
  wrk.headers["Content-Type"] = cases.media_type
  if cases.accept then wrk.headers["Accept"] = cases.accept end
end

function request()
  sent = sent % #cases.bodies + 1
  return wrk.format(nil, nil, nil, cases.bodies[sent])
end

local function numbers_of(body)
  local found = {}
  if body:sub(1, 6) == "\147NUMPY" then
    local start = 10 + body:byte(9) + 256 * body:byte(10)
    local values = ffi.cast("const float*", ffi.cast("const char*", body) + start)
    for i = 0, (#body - start) / 4 - 1 do found[#found + 1] = values[i] end
  else
    for text in body:gmatch("[-+0-9][-+0-9.eE]*") do found[#found + 1] = tonumber(text) end
  end
  return found
end

local function case_of(body)
  local found = numbers_of(body)
  for number, right in ipairs(cases.answers) do
    local equal = #found == #right
    for i = 1, #right do
      equal = equal and math.abs(found[i] - right[i]) <= cases.tolerance
      if not equal then break end
    end
    if equal then return number end
  end
end

function check(status, headers, body)
  -- Open Inference Protocol: names, shapes and a new id stand around the numbers.
  local text = cases.open_inference and body:match('"data":%s*(%b[])') or body
  local number = status == 200 and (accepted[text] or case_of(text))
  -- On one connection it is known which body the answer is to.
  if number and (not in_order or number == sent) then
    accepted[text] = number
    counts[number] = counts[number] + 1
  else
    wrong = wrong + 1
    if first_wrong == "" then first_wrong = status .. " " .. body:sub(1, 80):gsub("[^%w%p ]", "?") end
  end
end

function done(summary, latency, requests)
  local thread = threads[1]
  local counted = thread:get("counts")
  local each = {}
  for i = 1, #counted do each[i] = counted[i] end
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "wrong": %d, "counts": [%s], ' ..
    '"socket_errors": %d, "first_wrong": "%s"}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    thread:get("wrong"), table.concat(each, ","),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    (thread:get("first_wrong"):gsub('["\\]', "'"))))
end
