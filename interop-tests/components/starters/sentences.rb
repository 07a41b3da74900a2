# A spout over Storm's own adapter: so many sentences with whole numbers as ids, again when one fails. When all
# are acked it says how many, once, on the stream `done`.
require "./storm"

SENTENCES = ["the cow jumped over the moon", "an apple a day", "snow and the seven", "two with nature"]

class Sentences < Storm::Spout
  def open(conf, _context)
    @total = conf["starter.sentences"]
    @waiting = (0...@total).to_a
    @acked = {}
    @is_done = false
  end

  def nextTuple
    if (number = @waiting.shift)
      emit([SENTENCES[number % SENTENCES.length]], :id => number)
    elsif @acked.length == @total && !@is_done
      @is_done = true
      emit([@total], :stream => "done")
    else
      sleep 0.001
    end
  end

  def ack(id)
    @acked[id] = true
  end

  def fail(id)
    @waiting.push(id)
  end
end

Sentences.new.run
