//! G.711: µ-law and A-law, by table in both directions.
//!
//! The decoding tables are the definition (ITU-T G.711 tables 1 and 2, scaled to 16 bits); the encoding tables are made
//! from the decoding ones at compile time: every input gets the code whose interval of decision it falls in.
