// For `node -r`: the SDK has no setting for its base URL, but reads this constant when a client is made.
require("@frejun/teler/dist/constants.js").TELER_BASE_URL = process.env.TELER_BASE_URL;
