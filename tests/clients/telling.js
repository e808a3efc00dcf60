// What the applications of this folder for Node share; telling.py says what each of them does.
const RATE_HZ = 8000;
const LOUD = 1500;
const HEARD_S = 0.4;

const tell = (event, details = {}) =>
  process.stdout.write(JSON.stringify({ event, at: Date.now() / 1000, ...details }) + "\n");

function tone(pitchHz, seconds, rateHz = RATE_HZ) {
  const samples = new Int16Array(Math.round(seconds * rateHz));
  for (let i = 0; i < samples.length; i++) samples[i] = 12000 * Math.sin((2 * Math.PI * pitchHz * i) / rateHz);
  return samples;
}

// feed() is true once, when the caller starts to talk; his pitch, by zero crossings, is told when enough was heard.
class Ear {
  constructor() {
    this.voice = [];
    this.length = 0;
  }

  feed(samples, rateHz) {
    if (this.length >= HEARD_S * rateHz) return false;
    if (!this.length && !samples.some((sample) => Math.abs(sample) > LOUD)) return false;
    const starts = !this.length;
    this.voice.push(...samples);
    this.length += samples.length;
    if (this.length >= HEARD_S * rateHz) {
      const crossings = this.voice.filter((sample, i) => i && sample >= 0 && this.voice[i - 1] < 0).length;
      tell("heard", { pitch_hz: (crossings * rateHz) / this.length });
    }
    return starts;
  }
}

module.exports = { Ear, RATE_HZ, tell, tone };
